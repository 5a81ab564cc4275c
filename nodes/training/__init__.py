"""The steps of training: each looks at what is, and does the one next thing."""
