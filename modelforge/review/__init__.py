"""Reviews: two configs, override sets or git revisions → what the change does, as data, text or Markdown."""

from modelforge.review.compare import review as review
from modelforge.review.diff import Diff as Diff
from modelforge.review.diff import diff as diff
from modelforge.review.diff_text import diff_text as diff_text
from modelforge.review.markdown import review_markdown as review_markdown
from modelforge.review.markdown import to_markdown as to_markdown
from modelforge.review.model_changes import Change as Change
from modelforge.review.model_changes import LayerDiff as LayerDiff
from modelforge.review.model_changes import ParameterDiff as ParameterDiff
from modelforge.review.review import Review as Review
from modelforge.review.review_text import review_text as review_text
from modelforge.review.sides import Side as Side
from modelforge.review.sides import read as read
