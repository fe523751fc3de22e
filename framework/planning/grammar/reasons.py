"""What events and conditions are called, and what is read from it later. Pure.

A failure is told under the reason of its error, which is named where that is raised, and a canary's under one of
:class:`framework.rollout.state.Reason`. Every other name stands here. The log outlives any version of this program, so
a name never changes.
"""

from __future__ import annotations

from typing import NewType

from framework.api import conditions

Reason = NewType("Reason", str)

# -- commits and what the environment is governed by

REVISION_ACCEPTED = Reason("RevisionAccepted")
REVISION_REFUSED = Reason("RevisionRefused")
COMMIT_ALLOWED = Reason("CommitAllowed")
WAITS_FOR_WINDOW = Reason("WaitsForWindow")
PIN_IN_FORCE = Reason("PinInForce")
PIN_REFUSED = Reason("PinRefused")
PIN_ENDED = Reason("PinEnded")
SOURCE_UNAVAILABLE = Reason("SourceUnavailable")
SOURCE_AVAILABLE = Reason("SourceAvailable")

# -- the controller and what it stands on

LEASE_BROKEN = Reason("LeaseBroken")
CLOCK_SET = Reason("ClockSet")
MIRROR_DOWN = Reason("MirrorDown")
MIRROR_CAUGHT_UP = Reason("MirrorCaughtUp")
MIRROR_REFUSED = Reason("MirrorRefused")
"""It cannot hold one version, which is left out."""
RAY_LOST = Reason("RayLost")
RAY_STARTED = Reason("RayStarted")
TRANSIENT_ERROR = Reason("TransientError")
INTERNAL_ERROR = Reason("InternalError")
UNREADABLE_RECORD = Reason("UnreadableRecord")
RECORD_FORGOTTEN = Reason("RecordForgotten")

# -- any resource

READ = Reason("Read")
UPSTREAM_NOT_READY = Reason("UpstreamNotReady")
NOT_SUPPORTED = Reason("NotSupported")
SUSPENDED = Reason("Suspended")
WAITING_FOR_QUOTA = Reason("WaitingForQuota")
"""Work that is under way holds what it needs, and will end."""
QUOTA_EXCEEDED = Reason("QuotaExceeded")
"""What stands holds what it needs: nothing ends by itself."""
WAITING_FOR_ROOM = Reason("WaitingForRoom")
"""The cluster has what it needs, and not free."""
CLUSTER_TOO_SMALL = Reason("ClusterTooSmall")
"""The cluster as a whole has less than it needs."""
DRIFT_REPAIRED = Reason("DriftRepaired")
HANDS_OVER = Reason("HandsOver")
ORPHANED = Reason("Orphaned")
DELETING = Reason("Deleting")
DELETED = Reason("Deleted")

# -- runs, and what comes of them

RUN_STARTED = Reason("RunStarted")
RUN_FAILED = Reason("RunFailed")
RETRIES_EXHAUSTED = Reason("RetriesExhausted")
MATERIALIZING = Reason("Materializing")
PUBLISHED = Reason("Published")
EXPECTATION_FAILED = Reason("ExpectationFailed")
EXPECTATION_WARNED = Reason("ExpectationWarned")
DATA_STALE = Reason("DataStale")
ONLINE_WRITTEN = Reason("OnlineWritten")
ONLINE_BEHIND = Reason("OnlineBehind")
ONLINE_DIFFERS = Reason("OnlineDiffers")
ONLINE_DROPPED = Reason("OnlineDropped")
TRAINING = Reason("Training")
REGISTERING = Reason("Registering")
MODEL_READY = Reason("ModelReady")
VERSION_TAKEN = Reason("VersionTaken")
GATE_FAILED = Reason("GateFailed")
ALIAS_MOVED = Reason("AliasMoved")
MODELS_IN_USE = Reason("ModelsInUse")
RETRAINING_ASKED = Reason("RetrainingAsked")
RETRAINING_WAITS = Reason("RetrainingWaits")
NOTHING_DIFFERS = Reason("NothingDiffers")
NO_WRITE_ACCESS = Reason("NoWriteAccess")

# -- deployments

WAITING_FOR_MODEL = Reason("WaitingForModel")
ADOPTED = Reason("Adopted")
ROLLOUT_STARTED = Reason("RolloutStarted")
WEIGHT_CHANGED = Reason("WeightChanged")
SHIFTING_TRAFFIC = Reason("ShiftingTraffic")
PAUSED = Reason("Paused")
STABLE_UNAVAILABLE = Reason("StableUnavailable")
STABLE_LOST = Reason("StableLost")
PROMOTED = Reason("Promoted")
CANDIDATE_REJECTED = Reason("CandidateRejected")
SUPERSEDED = Reason("Superseded")
WITHDRAWN = Reason("Withdrawn")
QUARANTINE_LIFTED = Reason("QuarantineLifted")
PROMOTION_CALLED = Reason("PromotionCalled")
ROLLOUT_PAUSED = Reason("RolloutPaused")
ROLLOUT_RESUMED = Reason("RolloutResumed")
WORD_IGNORED = Reason("WordIgnored")
ROUTE_HANDED_OVER = Reason("RouteHandedOver")
SERVING = Reason("Serving")
STABLE_RESTARTED = Reason("StableRestarted")
DEGRADED = Reason(conditions.DEGRADED)
RECOVERED = Reason("Recovered")

# -- monitors

WAITING_FOR_DEPLOYMENT = Reason("WaitingForDeployment")
REFERENCE_MISSING = Reason("ReferenceMissing")
WATCHING = Reason("Watching")
DRIFT_DETECTED = Reason("DriftDetected")
DRIFT_OVER = Reason("DriftOver")
PERFORMANCE_DEGRADED = Reason("PerformanceDegraded")
PERFORMANCE_RECOVERED = Reason("PerformanceRecovered")
QUALITY_VIOLATED = Reason("QualityViolated")
QUALITY_RESTORED = Reason("QualityRestored")

# -- what is asked of them

TAKES_EFFECT = frozenset({REVISION_ACCEPTED, PIN_IN_FORCE})
"""The commit of the event is in force from then on."""
BEGAN = frozenset({RUN_STARTED, DRIFT_REPAIRED, STABLE_RESTARTED})
"""Something was started: not true of what is held back."""
AWAITS_PERSON = frozenset({PAUSED, SUSPENDED, QUOTA_EXCEEDED, CLUSTER_TOO_SMALL})
"""Nothing moves by itself. So it is with who waits for room that nobody is about to make."""
