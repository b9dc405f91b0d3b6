"""Write a plan with its certificate, and add the certificate up with the stand-alone checker."""

import json
import subprocess
import sys
from pathlib import Path

import memonger
from memonger.instances.plan_json import plan_to_json
from memonger.instances.problem_json import problem_to_json

CHECKER = Path(__file__).parents[1] / "scripts" / "check_certificate.py"

problem = memonger.load("heavy-100-seed7")
result = memonger.solve(problem, time_limit=60)
Path("problem.json").write_text(json.dumps(problem_to_json(problem)))
Path("plan.json").write_text(json.dumps(plan_to_json(problem, result)))
subprocess.run([sys.executable, "-I", CHECKER, "problem.json", "plan.json"], check=True)
