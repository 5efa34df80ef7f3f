"""A ZenML pipeline of three steps, as a runner executes it. `--broken` gives it data that its second step refuses."""

import argparse
import hashlib
import logging
import os
from typing import Annotated

from zenml import pipeline, step

# The token is known here by its hash alone, so that only the secret value can pass.
TOKEN_SHA256 = os.environ.get("EXAMPLE_TOKEN_SHA256", "")

log = logging.getLogger("example")


@step(enable_cache=False)
def load(broken: bool) -> Annotated[list[float], "readings"]:
    token = os.environ.get("EXAMPLE_TOKEN", "")
    if hashlib.sha256(token.encode()).hexdigest() != TOKEN_SHA256:
        raise PermissionError("the token is not the one that was given to the run")
    print("example: the token is right")
    return [] if broken else [20.5, 21.0, 23.5]


@step(enable_cache=False)
def mean(readings: list[float]) -> Annotated[float, "mean"]:
    if not readings:
        raise ValueError("example: there are no readings to average")
    log.warning("example: averaging %d readings", len(readings))
    return sum(readings) / len(readings)


@step(enable_cache=False)
def report(average: float) -> None:
    print(f"example: the mean is {average:.2f}")


@pipeline
def temperatures(broken: bool = False) -> None:
    report(mean(load(broken=broken)))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--broken", action="store_true")
    temperatures(broken=arguments.parse_args().broken)
