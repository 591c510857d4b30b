"""The mocks pod: stateful fakes of every outside service that the content calls, under production host names.

One file is one fake. `server.Mocks` puts them behind listeners, `control` is how a test steers them and
`readers` is the test's side of that. Many tests share them, each in a tenancy (`tenancy`) with a world of its own
(`fakes`): pods announce which task opens a connection (`pods_site`, `identity`). Nothing here imports the rest of
`harness`.
"""
