"""Replicate's predictions: images, video and speech of many models."""
