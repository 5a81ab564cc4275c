"""Datasets: examples from attempts and files are curated, saved in a folder, and exported.

    examples  -> curate -> Selection -> save -> a folder: data.jsonl, valid.jsonl, card.json
    (episodes, preferences,                          |
     images)                                         +-> load, export

These modules import no training library. The trainers read the folder.
"""
