"""fal's queue: images, video and speech of many models."""
