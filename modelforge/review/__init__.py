"""Reviews: two configs, override sets or git revisions → what the change does, as data, text or Markdown.

Nothing is imported here: a job that renders the document of another job needs neither torch nor Hydra.
"""
