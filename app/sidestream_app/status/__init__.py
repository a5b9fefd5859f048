"""One screen on how the plant does: asked in parallel within a second, judged in words, shown to a person or a program."""
