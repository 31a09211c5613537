"""A control process of its own that delivers webhooks, to be killed by a test."""

import os
import time

from orchestrator.config import Settings
from orchestrator.services.core import Core
from orchestrator.services.deliver import Courier

if __name__ == "__main__":
    courier = Courier(Core.start(Settings.from_env(os.environ)))
    courier.look()
    time.sleep(60)
