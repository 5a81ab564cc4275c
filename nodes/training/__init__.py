"""The steps of training: each looks at the current state and takes the next step."""
