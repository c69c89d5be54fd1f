"""BERT from scratch: the package that grows chapter by chapter.

Every module is generated from the chapter of the same name by `make export`;
change the chapter, not the module. Import pieces by name:
`from bertlib.wordpiece import BertTokenizer`.
"""

__version__ = "0.1.0"
