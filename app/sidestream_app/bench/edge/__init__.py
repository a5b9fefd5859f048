"""What the edge agent costs a gateway: memory, processor, disk, and how long a day's backlog takes."""
