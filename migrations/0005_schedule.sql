-- `status` says which slots were given up, among runs of months.
CREATE INDEX job_runs_given_up ON job_runs (slot_at) WHERE state = 'given_up';
