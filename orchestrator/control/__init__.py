"""The Celery door: tasks of three lines, each calling one service."""
