-- Runs of jobs. A slot of the schedule is planned once.
CREATE TABLE job_runs (
    id {id},
    job {text} NOT NULL,
    slot_at BIGINT, -- NULL: started by hand or by cron
    state {text} NOT NULL, -- planned, running, done, partial, failed
    node {text}, -- who runs it, or did last
    fence BIGINT NOT NULL DEFAULT 0, -- how many times it was taken: older holders write nothing
    lease_until BIGINT NOT NULL DEFAULT 0, -- by the database's own clock; after it anybody may take it
    started_at BIGINT,
    finished_at BIGINT,
    counts {text} NOT NULL DEFAULT '{}',
    error {text},
    UNIQUE (job, slot_at)
);
CREATE INDEX job_runs_job ON job_runs (job, id);
CREATE INDEX job_runs_owed ON job_runs (slot_at)
    WHERE state IN ('planned', 'running') AND slot_at IS NOT NULL;
