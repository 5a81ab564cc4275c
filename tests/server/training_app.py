"""The training graph as a server has it: real models, jobs and memory, with simple embeddings."""

from __future__ import annotations

from apprentice.graphs import episode as episodes
from apprentice.graphs import feedback as feedbacks
from apprentice.graphs import training as trainings
from apprentice.workspace import Workspace
from tests.memory.experience.attempts import Words

WORKSPACE = Workspace(embeddings=Words())
SETTINGS = {"batch": 8, "learning_rate": 2e-2, "max_steps": 24, "every": 12}

episode = episodes.build(workspace=WORKSPACE).compile(name="episode")
feedback = feedbacks.build(workspace=WORKSPACE).compile(name="feedback")
training = trainings.build(workspace=WORKSPACE, settings=SETTINGS).compile(name="training")
