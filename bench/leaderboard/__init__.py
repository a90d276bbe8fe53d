"""`bench leaderboard`: committed runs -> boards (CSV), their page, and the validation of submissions.

Comes in: whatever makes or checks boards. May run a submission again; must not change its rows.
"""
