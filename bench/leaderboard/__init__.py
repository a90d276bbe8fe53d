"""`bench leaderboard`: committed runs -> boards (CSV), their page, and what is refused a place on them."""
