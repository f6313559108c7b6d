"""What readers are told, drawn from the board and from records; never part of a step."""
