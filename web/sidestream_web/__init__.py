"""The live page and the read API of one hub: reads the named views, changes nothing."""
