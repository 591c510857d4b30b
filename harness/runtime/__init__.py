"""Running a topology: the `Runtime` protocol and its backends."""
