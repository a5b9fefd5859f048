"""The whole hub in one file and back: every table as of one instant, by COPY as text, so that it moves between profiles."""
