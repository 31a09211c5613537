"""Every job of the project, whoever made it."""

# mypy: ignore-errors

from pasqal_cloud import SDK
from service import tell, with_token

tell(jobs={job.id: job.runs for job in SDK(**with_token()).get_jobs().results})
