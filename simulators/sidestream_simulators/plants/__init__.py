"""The physics of each example hub. All figures are synthetic: plausible in size, measured nowhere."""
