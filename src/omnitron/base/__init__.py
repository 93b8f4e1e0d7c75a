"""The ground floor: errors, units, names, and the only doors to time, chance and tasks."""
