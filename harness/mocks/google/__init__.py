"""Google's APIs as far as the provider needs them: OAuth for service accounts, IAM credentials, Sheets v4, Drive v3."""
