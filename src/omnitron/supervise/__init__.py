"""Supervision of one app: pure decisions (machine, decide, order, rollout, autoscale, recycle) and thin effects."""
