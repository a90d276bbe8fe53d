"""`bench leaderboard`: committed runs -> boards (CSV), their page, and what is refused a place on them.

Comes in: whatever makes or checks boards. May run a submission again; must not change its rows.
"""
