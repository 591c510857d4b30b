"""`python -m content_syncer` is the same as the command `content-syncer`."""

from content_syncer.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
