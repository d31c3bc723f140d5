-- What is measured often is read off an index: messages of which nobody knows
-- whether they arrived, the last run of a job that was done, slots given up.
CREATE INDEX messages_uncertain ON messages (id) WHERE state = 'uncertain';
CREATE INDEX job_runs_done ON job_runs (job, id) WHERE state IN ('done', 'partial');
CREATE INDEX job_runs_given_up ON job_runs (job, slot_at) WHERE state = 'given_up';
