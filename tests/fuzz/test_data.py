"""Damaged data, paths and addresses end in a sentence."""

from __future__ import annotations


def test_damaged_data_end_in_a_sentence(fuzz):
    fuzz(60, "dataset", "arrays", "image")


def test_paths_that_are_no_files_end_in_a_sentence(fuzz):
    fuzz(40, "paths")


def test_addresses_keep_their_secrets(fuzz):
    fuzz(20, "stream")
