"""What the ledger must not hold: invariant 10. Sums are of all there is, whatever the range."""

from typing import Final

from orchestrator.store.audit import IN_RANGE, Question

_SUM: Final = "SELECT sum(balance) AS sum FROM account HAVING sum(balance) <> 0"
_BALANCES: Final = """
    SELECT account.id AS account, account.project_id AS project, account.kind, account.balance,
        COALESCE(summed.amount, 0) AS transfers
    FROM account LEFT JOIN (
        SELECT id, sum(amount) AS amount FROM (
            SELECT credit AS id, amount FROM transfer
            UNION ALL SELECT debit, -amount FROM transfer
        ) AS sides GROUP BY id
    ) AS summed ON summed.id = account.id
    WHERE account.balance <> COALESCE(summed.amount, 0)
"""
_HELD: Final = """
    SELECT project_id AS project, COALESCE(balance, 0) AS balance, COALESCE(amount, 0) AS holds
    FROM (SELECT project_id, balance FROM account WHERE kind = 'held') AS account
        FULL JOIN (
            SELECT project_id, sum(amount) AS amount FROM hold WHERE state = 'held'
            GROUP BY project_id
        ) AS summed USING (project_id)
    WHERE COALESCE(balance, 0) <> COALESCE(amount, 0)
"""
# A job that was revived while its device type was free holds nothing.
_CLOSED: Final = f"""
    SELECT job.id AS job, job.status, job.batch_id AS batch, hold.attempt, hold.state
    FROM job JOIN hold ON hold.job_id = job.id
    WHERE job.batch_id IN {IN_RANGE} AND hold.attempt = (
        SELECT max(attempt) FROM hold AS later WHERE later.job_id = job.id
    ) AND (hold.state = 'held') <> (job.ended_at IS NULL) AND (
        hold.state = 'held' OR NOT EXISTS (
            SELECT 1 FROM event WHERE event.batch_id = job.batch_id AND event.job_id = job.id
                AND event.kind = 'revived' AND event.at >= hold.closed_at
        )
    )
"""
_PAID: Final = f"""
    SELECT hold.job_id AS job, hold.attempt, hold.state, hold.amount, hold.captured,
        taken.amount AS transfer_captured, given.amount AS transfer_released
    FROM job JOIN hold ON hold.job_id = job.id
        LEFT JOIN transfer AS taken
            ON taken.idem_key = 'capture:' || hold.job_id || ':' || hold.attempt
        LEFT JOIN transfer AS given
            ON given.idem_key = 'release:' || hold.job_id || ':' || hold.attempt
    WHERE job.batch_id IN {IN_RANGE} AND (
        COALESCE(taken.amount, 0) <> COALESCE(hold.captured, 0)
        OR COALESCE(given.amount, 0) <> CASE hold.state WHEN 'held' THEN 0
            ELSE hold.amount - COALESCE(hold.captured, 0) END
    )
"""
_UNHELD: Final = f"""
    SELECT job.id AS job, job.status, job.batch_id AS batch
    FROM batch JOIN job ON job.batch_id = batch.id
    WHERE batch.billed AND batch.id IN {IN_RANGE}
        AND NOT EXISTS (SELECT 1 FROM hold WHERE hold.job_id = job.id)
"""

MONEY: Final = (
    Question(invariant=10, what="the ledger sums to zero", of="accounts", sql=_SUM),
    Question(invariant=10, what="balances are their transfers", of="accounts", sql=_BALANCES),
    Question(invariant=10, what="what is held is held for jobs", of="holds", sql=_HELD),
    Question(invariant=10, what="holds end with their jobs", of="holds", sql=_CLOSED),
    Question(invariant=10, what="each hold is paid out once", of="holds", sql=_PAID),
    # Not of those that were added while their device type was free.
    Question(invariant=10, what="billed jobs have holds", of="jobs", sql=_UNHELD, grave=False),
)
