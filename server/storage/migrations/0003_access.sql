-- People who sign in, phones that are enrolled, and the short-lived things between them. Tokens, codes and
-- sessions are stored as SHA-256 only. Times are milliseconds since the epoch, UTC.

CREATE TABLE person (
    id $identity,
    username text NOT NULL UNIQUE,          -- lower case
    name text NOT NULL,
    role text NOT NULL,                     -- a role id of the policy
    borough text,                           -- ONS code
    unit text,                              -- command unit, when it does not follow from the borough
    password_hash text NOT NULL,            -- argon2id
    must_change $integer NOT NULL DEFAULT 0,
    active $integer NOT NULL DEFAULT 1,
    created_at $integer NOT NULL
) $strict;

CREATE TABLE person_session (
    token_sha256 $bytes PRIMARY KEY,
    person $integer NOT NULL REFERENCES person (id),
    started_at $integer NOT NULL,
    seen_at $integer NOT NULL,
    expires_at $integer NOT NULL
) $strict_without_rowid;
CREATE INDEX person_session_person ON person_session (person);

-- Wrong attempts, counted over a window, in the database so that a restart or a second process forgets nothing.
-- The subject is a keyed hash: people type passwords into the username field.
CREATE TABLE sign_in_attempt (
    id $identity,
    kind text NOT NULL,                     -- username, address
    subject text NOT NULL,
    at $integer NOT NULL
) $strict;
CREATE INDEX sign_in_attempt_subject ON sign_in_attempt (kind, subject, at);
CREATE INDEX sign_in_attempt_at ON sign_in_attempt (at);

CREATE TABLE device (
    device_id text PRIMARY KEY,             -- UUID
    thumbprint text NOT NULL UNIQUE,        -- RFC 7638, of the public key
    public_key text NOT NULL,               -- JWK, P-256
    person $integer NOT NULL REFERENCES person (id),
    name text NOT NULL,                     -- what the officer calls the phone
    ward text,
    borough text,
    role text NOT NULL,                     -- the officer's role when the phone was enrolled
    status text NOT NULL,                   -- active, revoked
    enrolled_at $integer NOT NULL,
    revoked_at $integer,
    last_seen_at $integer,
    app_version text,
    wipe_ordered_at $integer,               -- an administrator said so; a revoked phone is told to wipe as well
    wipe_begun_at $integer,                 -- the phone said that it begins, everything it had to send being sent
    wiped_at $integer,                      -- the phone said that it is done
    wipe_presumed_at $integer               -- it said that it begins, and has been silent for so long that it must be
) $strict_without_rowid;
CREATE INDEX device_person ON device (person);

CREATE TABLE enrolment_code (
    code_sha256 $bytes PRIMARY KEY,
    person $integer NOT NULL REFERENCES person (id),
    ward text,
    made_at $integer NOT NULL,
    expires_at $integer NOT NULL,
    used_at $integer,
    device_id text
) $strict_without_rowid;

CREATE TABLE device_token (
    token_sha256 $bytes PRIMARY KEY,
    device_id text NOT NULL REFERENCES device (device_id),
    expires_at $integer NOT NULL
) $strict_without_rowid;
CREATE INDEX device_token_expires ON device_token (expires_at);

-- Assertions that were used: each is good once.
CREATE TABLE assertion_seen (
    device_id text NOT NULL REFERENCES device (device_id),
    jti text NOT NULL,
    expires_at $integer NOT NULL,
    PRIMARY KEY (device_id, jti)
) $strict_without_rowid;
CREATE INDEX assertion_seen_expires ON assertion_seen (expires_at);
