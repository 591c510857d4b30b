"""How Slack says no."""


class SlackError(Exception):
    """One of Slack's documented error codes, and the messages that Slack puts into `response_metadata`."""

    def __init__(self, code: str, *messages: str) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages
