"""Datasets: made from attempts, preferences and images; curated, kept in folders, exported.

    examples  -> curate -> Curated -> save -> a folder: data.jsonl, valid.jsonl, card.json
    (episodes, preferences,                        |
     images)                                       +-> load, export

No heavy import: the libraries that train read the folder.
"""
