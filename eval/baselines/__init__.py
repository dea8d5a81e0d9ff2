"""What a forecast has to beat."""
