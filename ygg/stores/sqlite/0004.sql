-- Schema 4: a result is a whole message. JSON, or NULL where an answer has none.

ALTER TABLE results ADD COLUMN tool_calls TEXT;  -- [{name, arguments, id}]
ALTER TABLE results ADD COLUMN logprobs TEXT;    -- [{token, logprob, bytes, top_logprobs}]
ALTER TABLE results ADD COLUMN embeddings TEXT;  -- [[number]], a vector for each text
