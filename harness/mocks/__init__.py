"""The mocks pod: stateful fakes of every outside service that the content calls, under production host names.

One file is one fake. `server.Mocks` puts them behind listeners, `control` is how a test steers them and
`readers` is the test's side of that. Nothing here imports the rest of `harness`.
"""
