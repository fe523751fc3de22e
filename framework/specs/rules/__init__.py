"""What must hold between objects, their code and their surroundings."""
