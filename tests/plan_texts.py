"""Plan documents that several tests share."""

RANK = """\
apiVersion: meshtrial/v1
metrics:
  conversion: {kind: proportion, outcome: purchase, window: 10s}
  revenue: {kind: mean, outcome: purchase, value: amount, window: 10s}
experiments:
  rank-v2:
    match: {path_prefix: /recommend}
    unit: {header: x-user-id}
    control: v1
    buckets: 100
    exposures: all
    arms:
      v2: {weight: 50, cluster: model-v2, headers: {x-model-version: "2"}}
      v1: {weight: 50, cluster: model-v1, headers: {x-baseline: "yes"}}
    decision:
      method: fixed
      alpha: 0.05
      power: 0.8
      planned_units: 100
      minimum_duration: 1s
      lateness: 0s
      primary:
        - {metric: conversion, direction: up, minimum_effect: 2pp}
        - {metric: revenue, direction: up, minimum_effect: 5% relative}
"""
