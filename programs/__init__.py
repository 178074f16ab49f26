"""Child programs: what runs one, and the limits that it sets itself."""
