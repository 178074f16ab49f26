"""Kills, pauses and loses parts of a running gateway under load, then proves that the money is right."""
