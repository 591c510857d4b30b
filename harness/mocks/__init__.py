"""The mocks pod: stateful fakes of every outside service that the content calls, under production host names.

A fake is a package (`slack`, `google`) or a file (`s3`, `ic`, `prometheus`). `server.Mocks` puts them behind
listeners, `control` is how a test steers them and `readers` is the test's side of that; `unit` puts them behind
HTTP clients. `gateway` has each exchange meet the test's `faults` and journals it with its side effects (`ledger`).
Many tests share them, each in a tenancy (`tenancy`) with a world of its own (`fakes`): pods announce which task
opens a connection (`pods_site`, `identity`). Nothing here imports the rest of `harness`.
"""
