"""gRPC on the outside, use cases on the inside: conversion and field checks only."""
