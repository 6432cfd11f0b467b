"""What schemathesis loads before it runs: has Hypothesis make requests only.

schemathesis tells it of each answer whether it was a success, and Hypothesis then looks for what succeeds with the least
input. That takes more than two thirds of the time, most of it for no request.
"""

import hypothesis

hypothesis.target = lambda *_observation, **_label: None
