"""The way out: the twin's figures to the parties they concern, as retained MQTT messages."""
