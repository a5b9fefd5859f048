"""Corrections: what raw readings mean from now on, said by a person, withdrawn but never edited; raw rows stay as they came."""
