"""What the page of the endpoints says beyond the OpenAPI document: notes, and calls that a test runs."""

_JSON = "-H 'Content-Type: application/json'"
_URL = "http://127.0.0.1:8000"

#: Endpoints in the order of the page; one that is not here fails the generator.
EXAMPLES = {
    "POST /generate": f"""curl -s {_URL}/generate {_JSON} -d '{{
  "question": "When was the Orrin bridge opened?",
  "documents": [{{"title": "Orrin", "text": "The bridge of Orrin was opened in 1907."}}],
  "n": 4, "task": "single-doc-qa", "metadata": {{"source": "article 7"}}
}}'""",
    "POST /feedback": f"""curl -s {_URL}/feedback {_JSON} -d '{{
  "decision_id": "PASTE-THE-DECISION-ID", "references": ["1907", "in 1907"]
}}'""",
    "POST /feedback/batch": f"""cat >feedback.ndjson <<'END'
{{"decision_id": "PASTE-THE-DECISION-ID", "thumb": "up", "source": "reader"}}
END
curl -s {_URL}/feedback/batch -H 'Content-Type: application/x-ndjson' --data-binary @feedback.ndjson""",
    "GET /decisions/{decision_id}": f"curl -s {_URL}/decisions/PASTE-THE-DECISION-ID",
    "GET /export": f"curl -s '{_URL}/export?with_feedback=true&task=single-doc-qa'",
    "DELETE /decisions/{decision_id}": f"curl -s -X DELETE {_URL}/decisions/PASTE-THE-DECISION-ID",
    "GET /arms": f"curl -s {_URL}/arms",
    "POST /arms": f"""curl -s {_URL}/arms {_JSON} -d '{{
  "name": "wide", "kind": "relevance", "options": {{"window_words": 200, "stride_words": 150}}
}}'""",
    "GET /arms/{name}": f"curl -s {_URL}/arms/wide",
    "PATCH /arms/{name}": f'curl -s -X PATCH {_URL}/arms/wide {_JSON} -d \'{{"state": "draining"}}\'',
    "GET /policy": f"curl -s {_URL}/policy",
    "POST /policies/evaluate": f"""curl -s {_URL}/policies/evaluate {_JSON} -d '{{
  "policies": ["fixed:loglik", "random"]
}}'""",
    "GET /healthz": f"curl -s {_URL}/healthz",
    "GET /readyz": f"curl -s {_URL}/readyz",
    "GET /metrics": f"curl -s {_URL}/metrics",
}

NOTES = {
    "POST /generate": """\
Exactly one of `prompt`, `messages` and `question` is required. `arm` pins an arm and `policy` names another
policy for this request; at most one of the two may be given.

With `"stream": true` the answer is a stream of server-sent events. It begins with a comment as soon as the
request is taken. A `candidate` event follows as each candidate finishes, and one `decision` event ends the
stream; it holds the plain answer and is sent when the decision is on disk. After the first event an error
is an `error` event. If some candidates miss `timeout_s`, those that are there are numbered anew in the
`decision`.""",
    "POST /feedback": """\
Exactly one of `reward`, `thumb`, `chosen_index`, `candidate_rewards` and `references` is required; `metric`
goes with `references`. [Rewards and windows](../how-to/rewards-and-windows.md) says what each teaches, and
what happens when feedback is repeated, corrected or late.""",
    "POST /feedback/batch": """\
The body has one feedback in each line, at most 10,000, and empty lines are skipped. A line of the answer
holds `line`, the number of the feedback's line from 1, and the fields of [FeedbackAnswer](#feedbackanswer);
or the status `error` and in `error` the [ErrorDetail](#errordetail).""",
    "GET /export": """\
A line holds the request as it was made, its `metadata`, the `candidates`, every arm's `scores`, the
`feedback`, and in `rewards` how good each candidate was by the feedback that counts, null where it does not
say. Decisions whose texts are not kept are left out.""",
}
