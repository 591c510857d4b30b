"""Recordings of real services: `itest record` makes one, and the contract suite replays it against a mock.

`scenarios` are what is asked, with official clients; `proxy` stands between them and the service and keeps the
exchanges, scrubbed; `replay` asks a mock the same and tells the differences.
"""
