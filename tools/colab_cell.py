# In Colab: fetch the book's code and data. Elsewhere: nothing.
import sys

if "google.colab" in sys.modules:
    import subprocess

    repository = "https://github.com/bert-from-scratch/bert-from-scratch"
    script = f"""
    [ -d /content/book ] || git clone -q --depth 1 {repository} /content/book
    pip install -q -r /content/book/requirements-colab.txt
    python /content/book/data/fetch.py
    """
    subprocess.run(["bash", "-ec", script], check=True)
    sys.path.insert(0, "/content/book")
